/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Always-valid inference for binary and discrete scores. */
