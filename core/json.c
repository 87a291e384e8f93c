/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Typed readers that name the place. */
