-- Roles belong to the whole server, so another database's migration may have made them,
-- or be making them now.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['chairside_booking', 'chairside_cache'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO chairside_booking, chairside_cache',
        current_database());
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO chairside_booking, chairside_cache;

GRANT SELECT, INSERT, UPDATE, DELETE ON organizations, barbers, services, barber_services,
    clients, weekly_hours, special_hours, time_off, appointments, payments, refunds,
    idempotent_requests TO chairside_booking;
-- Events are written by triggers, which run as their owner.
GRANT SELECT, DELETE ON outbox TO chairside_booking;
-- An import takes its ids before it copies.
GRANT USAGE, SELECT ON SEQUENCE organizations_id_seq, barbers_id_seq, services_id_seq,
    clients_id_seq, time_off_id_seq, appointments_id_seq, payments_id_seq, refunds_id_seq
    TO chairside_booking;

-- No idempotent_requests: what they keep is not the cache's business.
GRANT SELECT ON organizations, barbers, services, barber_services, clients, weekly_hours,
    special_hours, time_off, appointments, payments, refunds TO chairside_cache;
GRANT SELECT, DELETE ON outbox TO chairside_cache;
GRANT SELECT, INSERT, UPDATE, DELETE ON authority, members TO chairside_cache;

GRANT SELECT ON alembic_version TO chairside_booking, chairside_cache;
