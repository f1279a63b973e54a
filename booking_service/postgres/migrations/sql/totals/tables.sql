-- What reports need of all history, kept by triggers in the transaction of each change, so
-- that they need not read it again. Every figure is one of the rows of appointments,
-- payments and refunds that name a client: nothing here is known from elsewhere. Nothing
-- is checked either, for a total that is off must not refuse a booking: `python -m
-- booking_service totals check` finds it.
-- barber_id is the barber who did the work or took or gave back the money; 0 is the whole
-- shop, whose visit days are not the sum of its barbers'. A row of nothing is deleted.
CREATE TABLE IF NOT EXISTS client_days (
    client_id bigint NOT NULL,
    barber_id bigint NOT NULL,
    day date NOT NULL,
    organization_id bigint NOT NULL,
    visits integer NOT NULL,
    paid numeric(20, 2) NOT NULL,
    refunded numeric(20, 2) NOT NULL,
    PRIMARY KEY (client_id, barber_id, day)
);

-- For who came in a window: all that is asked of it stands in the index.
CREATE INDEX IF NOT EXISTS client_days_by_day ON client_days (organization_id, barber_id, day)
    INCLUDE (client_id, visits);

-- first_visit to visit_days tell of the days with visits, last_day of any.
CREATE TABLE IF NOT EXISTS client_totals (
    client_id bigint NOT NULL,
    barber_id bigint NOT NULL,
    organization_id bigint NOT NULL,
    first_visit date,
    last_visit date,
    last_day date NOT NULL,
    visit_days integer NOT NULL,
    paid numeric(20, 2) NOT NULL,
    refunded numeric(20, 2) NOT NULL,
    PRIMARY KEY (client_id, barber_id)
) WITH (fillfactor = 70);  -- a visit or a payment then needs no new entry in an index
CREATE INDEX IF NOT EXISTS client_totals_by_barber ON client_totals (organization_id, barber_id);

GRANT SELECT ON client_days, client_totals TO chairside_booking, chairside_cache;
