/* main.c - everything is a command: see cli.h. And the child that reads source maps is this program: see maps/worker.h. */
#include "cli.h"
#include "maps/worker.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], MAPS_WORKER) == 0)
        _exit(maps_worker_main());
    return cli_main(argc, argv);
}
