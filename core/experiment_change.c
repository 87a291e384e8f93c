/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What may change in an experiment, and when. */
