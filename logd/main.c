/* main.c - everything is a command: see cli.h. */
#include "cli.h"

int main(int argc, char **argv) { return cli_main(argc, argv); }
