/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sufficient statistics: add, merge, subtract. */
