// A rota that is not ours, as examples/python/time_off.py: it gives a barber days off, and tells
// the cache.
//
//   node examples/node/time_off.js CACHE DATABASE ORGANIZATION BARBER SERVICE DAY [silent]
//
// It writes the booking database itself: a day off on DAY, then on the day after instead, then
// none. After each commit it sends what it changed, before and after; from then on no reader is
// offered a slot that is gone. It prints a line for each read. `silent` tells nobody.

import process from "node:process";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import postgres from "postgres";
import { CacheService } from "./gen/chairside/cache/v1/cache_service_pb.js";
import { SchedulePart } from "./gen/chairside/cache/v1/events_pb.js";
import { Source } from "./gen/chairside/cache/v1/types_pb.js";

const [target, database, ...rest] = process.argv.slice(2);
const [organization, barber, service] = rest.slice(0, 3).map(BigInt);
const first = rest[3];
const second = new Date(Date.parse(first) + 86_400_000).toISOString().slice(0, 10);
const silent = rest[4] === "silent";

const sql = postgres(database, { max: 1 });
const cache = createClient(
  CacheService,
  createGrpcTransport({ baseUrl: `http://${target}`, defaultTimeoutMs: 5000 }),
);

/** A google.type.Date of YYYY-MM-DD. */
function dateOf(text) {
  const [year, month, day] = text.split("-").map(Number);
  return { year, month, day };
}

/** Reads the free slots of a local day. */
async function read(step, day, token) {
  const answer = await cache.getAvailability({
    organizationId: organization,
    barberIds: [barber],
    serviceId: service,
    startDate: dateOf(day),
    consistency: token && { requirement: { case: "atLeastAsFresh", value: token } },
  });
  const slots = answer.barbers[0].slots.length;
  console.log(JSON.stringify({ step, slots, source: `SOURCE_${Source[answer.cacheInfo.source]}` }));
}

/** Says which local day a day off was on before, and is on now; resolves once no process answers
 * from before. A repeat is harmless. */
async function tell(before, after) {
  if (silent) return undefined;
  const facts = (day) => day && { barberId: barber, from: dateOf(day), to: dateOf(day) };
  const change = { part: SchedulePart.TIME_OFF, old: facts(before), new: facts(after) };
  const event = { organizationId: organization, change: { case: "schedule", value: change } };
  return (await cache.invalidate({ events: [event] })).token;
}

for (const day of [first, second, first, second]) await read("before", day);
const [{ id }] = await sql`
  INSERT INTO time_off (organization_id, barber_id, starts_at, ends_at, reason)
  SELECT id, ${barber}, ${first}::date::timestamp AT TIME ZONE time_zone,
    (${first}::date + 1)::timestamp AT TIME ZONE time_zone, 'rota'
  FROM organizations WHERE id = ${organization}
  RETURNING id`;
await tell(undefined, first);
await read("off", first);

await sql`
  UPDATE time_off SET starts_at = ${second}::date::timestamp AT TIME ZONE time_zone,
    ends_at = (${second}::date + 1)::timestamp AT TIME ZONE time_zone
  FROM organizations WHERE time_off.id = ${id} AND organizations.id = organization_id`;
const token = await tell(first, second);
// Any read that starts now sees it. The token is for whoever must not depend on that: a reader
// that knows of the change before `tell` returned, or that allows staleness otherwise.
await read("free again", first);
await read("moved", second, token);

await sql`DELETE FROM time_off WHERE id = ${id}`;
await tell(second, undefined);
await read("taken back", second);
await sql.end();
