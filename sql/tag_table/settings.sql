-- How a tag table is loaded. Nothing is shown. Rows stay where they are until all are in, since they are known by where
-- they stand: no checkpoint on the way, and none that closes the gaps where rows were taken out, which are few: that would
-- write nearly all rows once more. A list of constants is compared as it is: as a join it is dear for every row, while
-- nearly none needs it.
SET enable_progress_bar = false;
SET checkpoint_threshold = '1TB';
SET max_vacuum_tasks = 0;
SET disabled_optimizers = 'in_clause';
