/* SPDX-License-Identifier: GPL-3.0-or-later */
/* History to unit to tally. */
