/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a fuzz target defines; the name is libFuzzer's. data is readable for exactly size bytes
 * and not ended by a zero. Answers 0, or -1 for an input that is not worth keeping.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
