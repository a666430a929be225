// Ends at once: what is measured is its runtime's start.
int main(void) { return 0; }
