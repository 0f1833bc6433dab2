/* Counts the words of standard input. A word is a run of characters between white space. */
#include <ctype.h>
#include <stdio.h>

int main(void) {
  int c, words = 0, inside = 0;
  while ((c = getchar()) != EOF) {
    if (isspace(c)) {
      if (inside) words++;
      inside = 0;
    } else {
      inside = 1;
    }
  }
  printf("%d\n", words);
  return 0;
}
