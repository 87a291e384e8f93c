// SPDX-License-Identifier: GPL-3.0-or-later
// Fastify with GrowthBook's SDK: what a team would write itself to decide on a server. Takes the
// body of POST /v1/assign, answers as that does, prints its port.
import Fastify from "fastify";
import { client } from "./growthbook.mjs";

const gb = client();
const app = Fastify({ keepAliveTimeout: 30000 });

app.post("/v1/assign", (request) => {
  const { customer, attributes, experiments } = request.body;
  const context = { attributes: { ...attributes, id: customer } };
  const assignments = {};
  for (const name of experiments) {
    const found = gb.evalFeature(name, context);
    assignments[name] = {
      variant: found.experimentResult?.key ?? null,
      value: found.value,
      reason: found.source,
    };
  }
  return { customer, assignments };
});

await app.listen({ host: "127.0.0.1", port: 0 });
console.log(`listening on http://127.0.0.1:${app.server.address().port}`);
