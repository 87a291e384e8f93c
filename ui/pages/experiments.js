// SPDX-License-Identifier: GPL-3.0-or-later
import { fetchJson } from '../lib/api.js';
import { start } from '../lib/shell.js';
import { List } from '../views/list.js';

start({ load: (key) => fetchJson('/v1/experiments', key), View: List });
