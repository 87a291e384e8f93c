/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A program that uses libuplift: decides for the customers it is given, and records an order of
 * each.
 *
 *     cc example.c $(pkg-config --cflags --libs libuplift) -o example
 *     ./example http://127.0.0.1:8080 KEY checkout customer-1 customer-2
 *
 * Instead of an address, a file with definitions as GET /api/features answers them: offline. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uplift/client.h>

static char definitions[1 << 20];

static int failed(const char *what, const struct uplift_client_error *error)
{
    fprintf(stderr, "example: %s: %s\n", what, error->text);
    return 1;
}

static int use(struct uplift_client_options *options, const char *place, const char *key)
{
    if (strncmp(place, "http", 4) == 0) {
        options->url = place;
        options->key = key;
        options->spill_path = "example.events";
        return 0;
    }
    FILE *file = fopen(place, "r");
    if (!file)
        return -1;
    size_t len = fread(definitions, 1, sizeof definitions - 1, file);
    fclose(file);
    definitions[len] = '\0';
    options->payload = definitions;
    return 0;
}

int main(int count, char **words)
{
    struct uplift_client_options options;
    struct uplift_client_error error;
    uplift_client_options_init(&options);
    if (count < 4 || use(&options, words[1], words[2]) != 0) {
        fprintf(stderr, "usage: example URL|FILE KEY EXPERIMENT CUSTOMER...\n");
        return 2;
    }
    uplift_client *client = uplift_client_new(&options, &error);
    if (!client)
        return failed("starting", &error);
    if (uplift_client_wait(client, 5000, &error) != UPLIFT_CLIENT_OK)
        fprintf(stderr, "example: %s\n", error.text);
    for (int i = 4; i < count; i++) {
        struct uplift_client_decision decision;
        if (uplift_client_assign(client, words[3], words[i], NULL, &decision, &error) !=
            UPLIFT_CLIENT_OK)
            failed("assigning", &error);
        printf("%s %s %s %s\n", words[i], decision.variant ? decision.variant : "-", decision.value,
               uplift_client_reason_word(decision.reason));
        uplift_client_decision_release(&decision);
        if (uplift_client_outcome(client, words[i], "order", 59.9, &error) != UPLIFT_CLIENT_OK)
            failed("recording", &error);
    }
    /* What cannot be sent within five seconds stays in the file for the next run. */
    if (uplift_client_close(&client, 5000, &error) != UPLIFT_CLIENT_OK)
        return failed("sending", &error);
    return 0;
}
