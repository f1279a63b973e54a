-- Payments and refunds carry their appointment's barber, service and start.

-- Locks the appointment against being moved meanwhile: else the one who moves it would
-- not see this row, and its copies would stay behind. (A writer in REPEATABLE READ that
-- moves it after waiting for this lock still would not; ours are READ COMMITTED.)
CREATE FUNCTION fill_copies() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    booking record;
BEGIN
    IF NEW.appointment_id IS NULL THEN
        NEW.service_id := NULL;
        NEW.appointment_barber_id := NULL;
        NEW.appointment_starts_at := NULL;
        RETURN NEW;
    END IF;
    SELECT barber_id, client_id, service_id, starts_at INTO booking FROM appointments
    WHERE id = NEW.appointment_id AND organization_id = NEW.organization_id FOR SHARE;
    IF NOT FOUND THEN
        RAISE foreign_key_violation USING MESSAGE = format(
            'organization %s has no appointment %s', NEW.organization_id, NEW.appointment_id);
    END IF;
    NEW.barber_id := coalesce(NEW.barber_id, booking.barber_id);
    NEW.client_id := coalesce(NEW.client_id, booking.client_id);
    NEW.service_id := booking.service_id;
    NEW.appointment_barber_id := booking.barber_id;
    NEW.appointment_starts_at := booking.starts_at;
    RETURN NEW;
END
$$;

CREATE TRIGGER fill_copies BEFORE INSERT OR UPDATE OF organization_id, appointment_id ON payments
    FOR EACH ROW EXECUTE FUNCTION fill_copies();
CREATE TRIGGER fill_copies BEFORE INSERT OR UPDATE OF organization_id, appointment_id ON refunds
    FOR EACH ROW EXECUTE FUNCTION fill_copies();

CREATE FUNCTION keep_copies() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    moved bigint[] := ARRAY(
        SELECT n.id FROM old_rows o JOIN new_rows n USING (id)
        WHERE (o.barber_id, o.service_id, o.starts_at)
            IS DISTINCT FROM (n.barber_id, n.service_id, n.starts_at));
BEGIN
    -- Most updates change a status: they must not fire the triggers of payments.
    IF cardinality(moved) = 0 THEN
        RETURN NULL;
    END IF;
    UPDATE payments p SET service_id = n.service_id, appointment_barber_id = n.barber_id,
        appointment_starts_at = n.starts_at
    FROM new_rows n WHERE n.id = ANY (moved) AND p.appointment_id = n.id;
    UPDATE refunds r SET service_id = n.service_id, appointment_barber_id = n.barber_id,
        appointment_starts_at = n.starts_at
    FROM new_rows n WHERE n.id = ANY (moved) AND r.appointment_id = n.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER keep_copies AFTER UPDATE ON appointments
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION keep_copies();

REVOKE ALL ON FUNCTION fill_copies(), keep_copies() FROM PUBLIC;
