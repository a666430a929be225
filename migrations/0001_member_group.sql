CREATE TABLE `member_group` (
	`id` integer PRIMARY KEY NOT NULL,
	`cluster_id` text NOT NULL,
	`members` blob NOT NULL
);
--> statement-breakpoint
ALTER TABLE `local` ADD `installed_index` integer DEFAULT 0 NOT NULL;
--> statement-breakpoint
INSERT INTO `member_group` VALUES (1, '', x'');
