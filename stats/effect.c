/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Difference, relative change, ratio and CUPED, each with its standard error. */
