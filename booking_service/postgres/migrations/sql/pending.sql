-- What is done after a change of zone that is not applied yet need not tell it again. (Run
-- twice, the second finds nothing to change.)
DO $$
DECLARE
    recorder record;
    source text;
BEGIN
    FOR recorder IN
        SELECT tgrelid::regclass::text AS "table", tgname, tgfoid FROM pg_trigger
        WHERE tgname IN ('record_insert', 'record_update', 'record_delete')
    LOOP
        source := regexp_replace(pg_get_functiondef(recorder.tgfoid),
            '\s*-- A statement of its own[^;]*pending\.zone_changed[^;]*;', '');
        IF recorder."table" = 'organizations' THEN
            source := regexp_replace(source,
                '\s*-- Another zone is told by zones\.sql\.\s*AND [^;]*o\.time_zone = [^;]*;', ';');
        END IF;
        IF source ~ 'zone_changed|zones\.sql' THEN
            RAISE EXCEPTION 'unexpected source of % of %', recorder.tgname, recorder."table";
        END IF;
        EXECUTE source;
    END LOOP;
END
$$;
