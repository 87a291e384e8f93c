/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Advice: what the trail keeps of a decision, and whether what a person does suits it. Pure; any
 * thread. */
#ifndef UPLIFT_CORE_ADVICE_H
#define UPLIFT_CORE_ADVICE_H

#include <jansson.h>
#include <stdbool.h>

/* The decision of these results, as the trail keeps it: {look, day, phase, action, variant,
 * headline}; `look` is the time of the look. New reference; NULL where there is no decision. */
json_t *advice_of(const json_t *results);
/* Whether both advise the same: action and variant. Either may be NULL. */
bool advice_same(const json_t *advice, const json_t *other);
/* Whether stopping with this winner (NULL: none, which is the control's value) is what the decision
 * of these results advises or leaves to people. Else it goes against the advice. */
bool advice_suits_stop(const json_t *results, const char *winner);

#endif
