/* Preloaded by the simulation: every byte that the process takes for random comes from a seed, so that a run can be
 * repeated bit by bit. Rust's std (HashMap), the rand crates and ring all draw from getrandom(2) through libc. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

static uint64_t next(void) {
    static uint64_t state;
    static int seeded;
    if (!seeded) {
        const char *seed = getenv("SIMULATION_SEED");
        state = seed ? strtoull(seed, NULL, 10) * 0x2545F4914F6CDD1DULL : 0;
        seeded = 1;
    }
    uint64_t mixed = __atomic_add_fetch(&state, 0x9E3779B97F4A7C15ULL, __ATOMIC_SEQ_CST);
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBULL;
    return mixed ^ (mixed >> 31);
}

ssize_t getrandom(void *buffer, size_t length, unsigned int flags) {
    (void)flags;
    for (size_t i = 0; i < length; i++) ((uint8_t *)buffer)[i] = (uint8_t)(next() >> 56);
    return (ssize_t)length;
}

int getentropy(void *buffer, size_t length) {
    getrandom(buffer, length, 0);
    return 0;
}
