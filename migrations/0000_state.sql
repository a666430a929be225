CREATE TABLE `history` (
	`revision` integer PRIMARY KEY NOT NULL,
	`key` text NOT NULL,
	`create_revision` integer NOT NULL,
	`version` integer NOT NULL,
	`previous` integer NOT NULL,
	`lease` integer,
	`value` blob
);
--> statement-breakpoint
CREATE TABLE `leases` (
	`id` integer PRIMARY KEY NOT NULL,
	`ttl_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `local` (
	`id` integer PRIMARY KEY NOT NULL,
	`scavenged_revision` integer NOT NULL,
	`wal_starts` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `replicated` (
	`id` integer PRIMARY KEY NOT NULL,
	`applied_index` integer NOT NULL,
	`applied_term` integer NOT NULL,
	`revision` integer NOT NULL,
	`compacted_revision` integer NOT NULL,
	`feature_level` integer NOT NULL,
	`next_lease` integer NOT NULL
);
--> statement-breakpoint
INSERT INTO `replicated` VALUES (1, 0, 0, 0, 0, 0, 1);
--> statement-breakpoint
INSERT INTO `local` VALUES (1, 0, 0);
