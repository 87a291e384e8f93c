/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Deliver: the thread that sends the messages of webhooks (core/webhook.h), one at a time to each
 * webhook, so that a slow one does not hold up the others. */
#ifndef UPLIFT_HTTP_DELIVER_H
#define UPLIFT_HTTP_DELIVER_H

#include "core/uplift.h"

struct deliver;

/* Starts it. `uplift` must outlive it. */
struct deliver *deliver_start(struct uplift *uplift);
/* Gives up what is under way, which is sent again after the next start, and ends it. */
void deliver_stop(struct deliver **deliver);

#endif
