/* rules_cli.h - rule files as commands read them. */
#ifndef RULES_CLI_H
#define RULES_CLI_H

struct rules_set;
/* Reads on after a bad file, so that one run names the first mistake of each, on stderr. */
int rules_read_files(struct rules_set *set, int n, char **files, const char *word);

#endif
