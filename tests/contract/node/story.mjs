// Meter, alert at 100, 99 events, the 100th, 50 more: through the official Node SDK.
// Arguments: server URL, key, URL of a webhook receiver. Prints what it found as JSON.
import assert from "node:assert/strict";
import Stripe from "stripe";

const [base, key, receiver] = process.argv.slice(2);
const { hostname, port } = new URL(base);
const stripe = new Stripe(key, { host: hostname, port: Number(port), protocol: "http" });

const endpoint = await stripe.webhookEndpoints.create({
  url: receiver,
  enabled_events: ["billing.alert.triggered"],
});
assert.match(endpoint.secret, /^whsec_/);
const customer = await stripe.customers.create({ name: "Node" });
const meter = await stripe.billing.meters.create({
  display_name: "API requests",
  event_name: "api_requests",
  default_aggregation: { formula: "sum" },
  customer_mapping: { type: "by_id", event_payload_key: "stripe_customer_id" },
  value_settings: { event_payload_key: "value" },
});
const alert = (gte) =>
  stripe.billing.alerts.create({
    alert_type: "usage_threshold",
    title: `At ${gte}`,
    usage_threshold: { meter: meter.id, gte, recurrence: "one_time" },
  });
const hundred = await alert(100);
const use = (identifier) =>
  stripe.billing.meterEvents.create({
    event_name: "api_requests",
    identifier,
    payload: { stripe_customer_id: customer.id, value: "1" },
  });
const triggered = async () =>
  (await stripe.events.list({ type: "billing.alert.triggered" })).data;

for (let number = 1; number <= 99; number += 1) await use(`event-${number}`);
assert.deepEqual(await triggered(), []);
await use("event-100");
const [event] = await triggered();
assert.equal(event.data.object.alert.id, hundred.id);
for (let number = 101; number <= 150; number += 1) await use(`event-${number}`);
assert.equal((await triggered()).length, 1);

await use("same");
let duplicate;
try {
  await use("same");
} catch (error) {
  assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError);
  duplicate = error.message;
}

for (let gte = 1; gte <= 24; gte += 1) await alert(1000 + gte);
let refused;
try {
  await alert(2000);
} catch (error) {
  refused = error.message;
}

const listed = [];
for await (const item of stripe.billing.alerts.list({ meter: meter.id, limit: 7 })) {
  listed.push(item.id);
}
assert.equal(listed.length, 25);
const summaries = await stripe.billing.meters.listEventSummaries(meter.id, {
  customer: customer.id,
  start_time: 0,
  end_time: 4070908800,
});
assert.equal(summaries.data[0].aggregated_value, 151);

// The webhook is on its way: wait until nothing is pending.
for (let tries = 0; tries < 500; tries += 1) {
  const { pending_webhooks: pending } = await stripe.events.retrieve(event.id);
  if (pending === 0) break;
  await new Promise((resolve) => setTimeout(resolve, 20));
}
const value = event.data.object.value;
console.log(JSON.stringify({ event: event.id, value, duplicate, refused }));
