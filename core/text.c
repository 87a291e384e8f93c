/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Slices and bounded builders. */
