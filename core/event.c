/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parse, validate, encode events. */
