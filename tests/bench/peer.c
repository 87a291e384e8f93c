/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/error.h"

enum { PATH_LENGTH = 1024 };

static void path_of(const char *name, char path[PATH_LENGTH])
{
    const char *folder = getenv("BENCH_PEERS");
    snprintf(path, PATH_LENGTH, "%s/%s", folder && *folder ? folder : "../tests/bench/peers", name);
}

bool peer_packages(const char *skipped)
{
    char path[PATH_LENGTH];
    path_of("node_modules/@growthbook/growthbook/package.json", path);
    if (access(path, R_OK) == 0)
        return true;
    printf("%s: skipped, its packages are not installed (npm ci in tests/bench/peers)\n", skipped);
    return false;
}

double peer_number(const char *with, const char *program, const char *argument)
{
    char path[PATH_LENGTH], command[PATH_LENGTH + 64];
    double number = 0;
    path_of(program, path);
    snprintf(command, sizeof command, "%s '%s' %s", with, path, argument);
    fflush(NULL);
    FILE *pipe = popen(command, "r");
    if (!pipe || fscanf(pipe, "%lf", &number) != 1)
        number = 0;
    if (pipe && pclose(pipe) != 0)
        number = 0;
    if (number == 0)
        printf("%s: failed\n", program);
    return number;
}

struct bench_server peer_serve(const char *program)
{
    char path[PATH_LENGTH];
    path_of(program, path);
    const char *const command[] = {"node", path, NULL};
    return bench_run((char *const *)(uintptr_t)command);
}
