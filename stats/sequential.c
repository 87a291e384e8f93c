/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Always-valid ranges and p-values. */
