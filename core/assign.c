/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One decision and its reason. */
