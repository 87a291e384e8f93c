// SPDX-License-Identifier: GPL-3.0-or-later
// Decisions a second of GrowthBook's SDK in process, on one core: prints one number, the median of
// three runs. A new set of attributes and one experiment asked for each time. "instance": with an
// instance a request instead of one client for all.
import { attributesOf, client, customer, instance } from "./growthbook.mjs";

const RUNS = 3;
const gb = client();
const decideOne =
  process.argv[2] === "instance"
    ? (attributes) => instance(attributes).evalFeature("exp-11").value
    : (attributes) => gb.evalFeature("exp-11", { attributes }).value;
const customers = Array.from({ length: 1024 }, (_, i) => customer(i * 7919));

function decide(rounds) {
  let other = 0;
  for (let i = 0; i < rounds; i++) {
    const id = customers[i % customers.length];
    if (decideOne(attributesOf(id)) === "b") other++;
  }
  return other;
}

// Asked about half of customers: an SDK that answers nothing would be fast.
const share = decide(20000) / 20000;
if (share < 0.45 || share > 0.55) throw new Error(`the SDK gives ${share} the other variant`);
const rates = [];
for (let run = 0; run < RUNS; run++) {
  const rounds = 100000;
  const before = process.cpuUsage();
  decide(rounds);
  const used = process.cpuUsage(before);
  rates.push((rounds / (used.user + used.system)) * 1e6);
}
rates.sort((a, b) => a - b);
console.log(Math.round(rates[RUNS >> 1]));
