/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Immutable snapshot of all experiments. */
