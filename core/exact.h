/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exact sums of what events are worth: whole numbers of 2^-60 in 128 bits.
 *
 * Adding whole numbers does not round, so a sum is the same in whichever order its parts came, to
 * the last bit: what lets one event be added to what was counted before it. A value of 2^-8 or more
 * is taken as it is, a smaller one to within 5e-19. The largest sum is 1e10 (EVENT_VALUE_MAX) of
 * 1e10 each. */
#ifndef UPLIFT_CORE_EXACT_H
#define UPLIFT_CORE_EXACT_H

#include <stdbool.h>

#include "core/text.h"

__extension__ typedef __int128 exact_sum;

#define EXACT_BITS 60
#define EXACT_ONE  ((exact_sum)1 << EXACT_BITS)

/* `value` is finite and no more than 1e19 either way. */
exact_sum exact_of(double value);
/* The double that is nearest. */
double exact_value(exact_sum sum);

/* Appends the sum in as few bytes as it needs: one for a whole number up to 15, few for one of
 * hundredths, 9 for any other double, 17 for what no double holds. */
void exact_write(exact_sum sum, struct text *out);
/* Moves *rest behind it; false where it holds none. */
bool exact_read(struct slice *rest, exact_sum *sum);

#endif
