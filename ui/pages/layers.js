// SPDX-License-Identifier: GPL-3.0-or-later
// Who has which range of which layer, and who is held out.
import { fetchAll } from '../lib/api.js';
import { start } from '../lib/shell.js';
import { Layers } from '../views/layers.js';

// Layers must be there; the part of holdouts says by itself what failed.
async function load(key) {
  const [layers, experiments] = await Promise.all(['layers', 'experiments'].map((name) => fetchAll(`/v1/${name}`, key, name)));
  return layers.data ? { ...layers, data: { layers: layers.data.layers, experiments } } : layers;
}

start({ load, View: Layers });
