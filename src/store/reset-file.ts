/** Is there while a reset of the group is under way: the store must not open. */
export const RESET_FILE = "reset.json";
