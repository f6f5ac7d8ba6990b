-- Implications that posts keep and that nobody has made yet, by the newest audit: those first that may be asked for.
-- Variables: min_posts (20): of the tag that implies;
--            both_ways (true): false leaves out pairs of which each implies the other.
-- Danbooru makes none between tags of two categories. `share_at_least` allows for chance; then the surest are first.
SELECT
    antecedent,
    consequent,
    format('{} of {}', together, posts) AS kept,
    round(low, 3) AS share_at_least,
    may_be_asked,
    both_ways,
    counter_examples
FROM proposed_implications
WHERE release = (SELECT max_by(release, position) FROM proposed_implications JOIN releases USING (release))
    AND posts >= coalesce(getvariable('min_posts'), 20)
    AND (coalesce(getvariable('both_ways')::BOOLEAN, true) OR NOT both_ways)
ORDER BY may_be_asked DESC, low DESC, antecedent, consequent;
