// SPDX-License-Identifier: GPL-3.0-or-later
// Who has which range of which layer, who is held out, and which experiments share customers.
import { fetchAll } from '../lib/api.js';
import { start } from '../lib/shell.js';
import { Layers } from '../views/layers.js';

// Layers must be there; the other parts say by themselves what failed.
async function load(key) {
  const [layers, experiments, overlaps] = await Promise.all(['layers', 'experiments', 'overlap'].map((name) =>
    fetchAll(`/v1/${name}`, key, name === 'overlap' ? 'overlaps' : name)));
  return layers.data ? { ...layers, data: { layers: layers.data.layers, experiments, overlaps } } : layers;
}

start({ load, View: Layers });
