/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sufficient statistics of one experiment, epoch, metric, segment and variant. */
