// SPDX-License-Identifier: GPL-3.0-or-later
// Writes the C file named on the command line: until the page is there, an empty one.
import { writeFileSync } from "node:fs";
writeFileSync(process.argv[2], "/* SPDX-License-Identifier: GPL-3.0-or-later */\n/* The page, as byte tables. */\n");
