"""An API that has a customer and a meter."""

import pytest

from tests.unit.api.running import Api


@pytest.fixture
async def metered(api: Api) -> Api:
    """An API with the customer `cus_a` and the meter `requests`."""
    await api.customer()
    await api.meter()
    return api
