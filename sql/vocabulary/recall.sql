-- counted: posts by tag and category as an earlier vocabulary has them (Arrow table counts; empty for the first release).
CREATE OR REPLACE TEMP TABLE counted AS FROM counts;
