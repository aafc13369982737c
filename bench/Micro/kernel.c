// The counting kernel in plain C: the twin that a kernel in another language is held against, by time or by the
// instructions that callgrind counts.
//
//     cc -O3 -std=c11 -o kernel kernel.c
//     python3 keys.py --events 1000000 --out f4.keys
//     ./kernel f4.keys 86400000 20            keys, window in ms, repetitions
//     valgrind --tool=callgrind ./kernel f4.keys 86400000 1
//
// Each step is one ascending run of keys, user << 33 | ms. For each key b of the later step the latest chain of the
// earlier step that ends at or before b is found, by going ahead over the earlier step's keys 8 at a time; (b, start of
// that chain) is kept if b - start <= window. 33 bits hold a month and more of milliseconds, so that one test proves
// that both are of the same user and that they lie within the window. The latest start is always the best one: a
// chain that it cannot finish in time no other can.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { most_steps = 16, time_bits = 33, stride = 8 };

typedef struct {
  size_t count;
  uint64_t *end;    // key of the last event of the chain, ascending; `stride` keys of UINT64_MAX follow
  uint64_t *start;  // key of its first event
} chains;

// Distinct users among ascending keys.
static size_t users(const uint64_t *key, size_t count) {
  size_t found = count > 0;
  for (size_t i = 1; i < count; i++) found += (key[i] ^ key[i - 1]) >> time_bits != 0;
  return found;
}

// Chains that reach one step further.
static size_t extend(const chains *earlier, const uint64_t *later, size_t count, uint64_t window, chains *reached) {
  const uint64_t *end = earlier->end;
  size_t at = 0, kept = 0;
  for (size_t i = 0; i < count; i++) {
    const uint64_t b = later[i];
    while (end[at + stride - 1] <= b) at += stride;
    size_t ahead = 0;
    for (int lane = 0; lane < stride; lane++) ahead += end[at + lane] <= b;
    const size_t place = at + ahead;  // chains that end at or before b
    if (place == 0) continue;
    const uint64_t start = earlier->start[place - 1];
    reached->end[kept] = b;
    reached->start[kept] = start;
    kept += b - start <= window;
  }
  for (int lane = 0; lane < stride; lane++) reached->end[kept + lane] = UINT64_MAX;
  return reached->count = kept;
}

static void *must(void *memory) {
  if (!memory) {
    fputs("out of memory\n", stderr);
    exit(1);
  }
  return memory;
}

static double now(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fputs("usage: kernel KEYS WINDOW_MS [REPETITIONS]     such as: kernel f4.keys 86400000 20\n", stderr);
    return 2;
  }
  const uint64_t window = strtoull(argv[2], NULL, 10);
  const int repetitions = argc > 3 ? atoi(argv[3]) : 1;
  FILE *file = fopen(argv[1], "rb");
  uint64_t steps = 0, count[most_steps];
  if (!file || fread(&steps, 8, 1, file) != 1 || steps < 1 || steps > most_steps || fread(count, 8, steps, file) != steps) {
    fprintf(stderr, "%s is not a file of keys\n", argv[1]);
    return 1;
  }
  uint64_t *key[most_steps], total = 0;
  size_t longest = 0;
  for (uint64_t k = 0; k < steps; k++) {
    key[k] = must(malloc((count[k] + stride) * sizeof(uint64_t)));
    if (fread(key[k], sizeof(uint64_t), count[k], file) != count[k]) {
      fprintf(stderr, "%s is cut short\n", argv[1]);
      return 1;
    }
    for (int lane = 0; lane < stride; lane++) key[k][count[k] + lane] = UINT64_MAX;
    total += count[k];
    if (count[k] > longest) longest = count[k];
  }
  fclose(file);

  chains room[2];
  for (int side = 0; side < 2; side++) {
    room[side].end = must(malloc((longest + stride) * sizeof(uint64_t)));
    room[side].start = must(malloc((longest + stride) * sizeof(uint64_t)));
  }
  size_t level[most_steps] = {0};
  double best = 1e300;
  for (int r = 0; r < repetitions; r++) {
    const double began = now();
    chains current = {count[0], key[0], key[0]};  // every event of step 1 is a chain
    level[0] = users(current.end, current.count);
    for (uint64_t k = 1; k < steps; k++) {
      chains *reached = &room[k & 1];
      extend(&current, key[k], count[k], window, reached);
      current = *reached;
      level[k] = users(current.end, current.count);
    }
    const double took = now() - began;
    if (took < best) best = took;
  }
  printf("counts:");
  for (uint64_t k = 0; k < steps; k++) printf(" %zu", level[k]);
  printf("\n%.3f ms best of %d, %.2f ns per step event (%llu)\n", best / 1e6, repetitions, best / (double)total, (unsigned long long)total);
  return 0;
}
