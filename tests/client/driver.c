/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A program that uses libuplift as it is told, for tests/e2e/client.test.mjs: its words are options
 * (url=…, key=…), its lines of input commands with fields between tabs, and it answers each with a
 * line of JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"

static uplift_client *client;

static void note(void *data, const char *message)
{
    (void)data;
    fprintf(stderr, "%s\n", message);
}

static void set_option(struct uplift_client_options *options, const char *word)
{
    const struct {
        const char *name;
        const char **text;
    } texts[] = {{"url=", &options->url},          {"key=", &options->key},
                 {"spill=", &options->spill_path}, {"kept=", &options->payload_path},
                 {"ca=", &options->ca_file},       {"socket=", &options->unix_socket}};
    const struct {
        const char *name;
        int *number;
    } numbers[] = {{"send=", &options->send_ms},
                   {"poll=", &options->poll_ms},
                   {"retry=", &options->retry_ms},
                   {"retry_max=", &options->retry_max_ms},
                   {"timeout=", &options->timeout_ms}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strncmp(word, texts[i].name, strlen(texts[i].name)) == 0)
            *texts[i].text = word + strlen(texts[i].name);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strncmp(word, numbers[i].name, strlen(numbers[i].name)) == 0)
            *numbers[i].number = (int)strtol(word + strlen(numbers[i].name), NULL, 10);
    if (strncmp(word, "batch=", 6) == 0)
        options->batch_max = strtoul(word + 6, NULL, 10);
    if (strcmp(word, "no_streaming") == 0)
        options->no_streaming = true;
}

static void answer(enum uplift_client_code code, const struct uplift_client_error *error)
{
    /* No message that the tests meet has a quote in it. */
    printf("{\"code\":%d,\"text\":\"%s\"}\n", (int)code, code ? error->text : "");
}

static void decide(bool expose, const char *experiment, const char *customer,
                   const char *attributes)
{
    struct uplift_client_decision d;
    struct uplift_client_error error;
    if (attributes && !*attributes)
        attributes = NULL;
    enum uplift_client_code code = (expose ? uplift_client_assign : uplift_client_decide)(
        client, experiment, customer, attributes, &d, &error);
    const char *quote = d.variant ? "\"" : "";
    printf("{\"code\":%d,\"variant\":%s%s%s,\"index\":%d,\"value\":%s,\"reason\":\"%s\","
           "\"in_experiment\":%s,\"bucket\":%.17g}\n",
           (int)code, quote, d.variant ? d.variant : "null", quote, d.index, d.value,
           uplift_client_reason_word(d.reason), d.in_experiment ? "true" : "false", d.bucket);
    uplift_client_decision_release(&d);
}

static void tell_statistics(void)
{
    struct uplift_client_stats s = {.size = sizeof s};
    uplift_client_statistics(client, &s);
    printf("{\"waiting\":%llu,\"recovered\":%llu,\"accepted\":%llu,\"duplicates\":%llu,"
           "\"rejected\":%llu,\"failures\":%llu,\"payloads\":%llu}\n",
           (unsigned long long)s.waiting, (unsigned long long)s.recovered,
           (unsigned long long)s.accepted, (unsigned long long)s.duplicates,
           (unsigned long long)s.rejected, (unsigned long long)s.failures,
           (unsigned long long)s.payloads);
}

static void obey(char **field)
{
    struct uplift_client_error error;
    const char *command = field[0];
    int ms = field[1] ? (int)strtol(field[1], NULL, 10) : 0;
    if (strcmp(command, "decide") == 0)
        decide(false, field[1], field[2], field[3]);
    else if (strcmp(command, "assign") == 0)
        decide(true, field[1], field[2], field[3]);
    else if (strcmp(command, "outcome") == 0)
        answer(uplift_client_outcome(client, field[1], field[2], strtod(field[3], NULL), &error),
               &error);
    else if (strcmp(command, "feedback") == 0)
        answer(uplift_client_feedback(client, field[1], field[2], (int)strtol(field[3], NULL, 10),
                                      field[4], &error),
               &error);
    else if (strcmp(command, "event") == 0)
        answer(uplift_client_event(client, field[1], &error), &error);
    else if (strcmp(command, "wait") == 0)
        answer(uplift_client_wait(client, ms, &error), &error);
    else if (strcmp(command, "keep") == 0)
        answer(uplift_client_flush(client, UPLIFT_CLIENT_KEPT, ms, &error), &error);
    else if (strcmp(command, "send") == 0)
        answer(uplift_client_flush(client, UPLIFT_CLIENT_SENT, ms, &error), &error);
    else if (strcmp(command, "close") == 0)
        answer(uplift_client_close(&client, ms, &error), &error);
    else
        tell_statistics();
}

int main(int count, char **words)
{
    struct uplift_client_options options;
    struct uplift_client_error error;
    uplift_client_options_init(&options);
    options.log = note;
    for (int i = 1; i < count; i++)
        set_option(&options, words[i]);
    client = uplift_client_new(&options, &error);
    if (!client) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    char *line = NULL;
    size_t room = 0;
    for (ssize_t len; client && (len = getline(&line, &room, stdin)) > 0;) {
        char *fields[8] = {line};
        line[len - 1] = '\0';
        for (size_t i = 1; i < 7 && fields[i - 1]; i++)
            if ((fields[i] = strchr(fields[i - 1], '\t')) != NULL)
                *fields[i]++ = '\0';
        obey(fields);
        fflush(stdout);
    }
    free(line);
    uplift_client_close(&client, 0, NULL);
    return 0;
}
