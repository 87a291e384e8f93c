// SPDX-License-Identifier: GPL-3.0-or-later
// The experiments, customers and questions of bench_assign and bench_assign_http, as GrowthBook's SDK takes them: 20
// experiments with an audience of three conditions, ten attributes.
import { GrowthBook, GrowthBookClient } from "@growthbook/growthbook";

const EXPERIMENTS = 20;
const condition = { country: { $in: ["DE", "FR"] }, age: { $gte: 18 }, device: "ios" };

const features = {};
for (let i = 0; i < EXPERIMENTS; i++)
  features[`exp-${i}`] = {
    defaultValue: "a",
    rules: [
      {
        key: `exp-${i}`,
        seed: `exp-${i}`,
        hashVersion: 2,
        condition,
        variations: ["a", "b"],
        weights: [0.5, 0.5],
        meta: [{ key: "a" }, { key: "b" }],
      },
    ],
  };

// One client for all customers, as GrowthBook's documentation has it for servers.
export function client() {
  return new GrowthBookClient({ log: () => {} }).initSync({ payload: { features } });
}

// An instance a request, its older way.
export function instance(attributes) {
  return new GrowthBook({ attributes, log: () => {} }).initSync({ payload: { features } });
}

export function attributesOf(id) {
  return {
    id,
    country: "DE",
    age: 30,
    device: "ios",
    x1: 1,
    x2: 2,
    x3: "c",
    x4: true,
    x5: null,
    x6: 1.5,
    x7: "z",
  };
}

export const customer = (number) => `customer-${String(number).padStart(15, "0")}`;
