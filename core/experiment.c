/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Experiments, defined and validated. */
