/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A study read from JSON. */
