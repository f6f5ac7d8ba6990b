-- Lines that the reader could not use, by their place among those that it was given, from 0; some have several faults.
SELECT DISTINCT (line - 1)::BIGINT AS place FROM reject_errors ORDER BY place;
