"""All that reads usage for people, over one state."""

from dataclasses import dataclass

from meterbell.clock import Clock
from meterbell.engine.state import State
from meterbell.insight.dry_run import DryRunner
from meterbell.insight.explain import Explainer
from meterbell.insight.feed import FeedReader
from meterbell.insight.progress import ProgressReader
from meterbell.insight.recent import RecentReader
from meterbell.insight.series import SeriesReader
from meterbell.ledger.committer import Committer
from meterbell.store.base import Store


@dataclass(frozen=True, slots=True)
class Insight:
    """What usage says, and what it would have done; nothing here changes anything."""

    progress: ProgressReader
    explainer: Explainer
    dry_runner: DryRunner
    series: SeriesReader
    recent: RecentReader
    feed: FeedReader

    @classmethod
    def over(cls, store: Store, state: State, committer: Committer, clock: Clock) -> "Insight":
        """Return readers of one state."""
        return cls(
            progress=ProgressReader(state, clock),
            explainer=Explainer(store, state, committer),
            dry_runner=DryRunner(store, state, committer, clock),
            series=SeriesReader(store, state, clock),
            recent=RecentReader(store, state, clock),
            feed=FeedReader(store, state),
        )
