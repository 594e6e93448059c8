create table customers (
  id bigint primary key,
  first_name text not null,
  last_name text not null,
  email text not null,
  phone text,
  amount numeric(12, 2) not null,
  active boolean not null,
  updated_at timestamptz not null,
  attributes jsonb not null,
  city text,
  country text,
  created_at timestamptz not null,
  notes text
);
insert into customers
select
  i,
  (array['Anna', 'Ben', 'Carla', 'David', 'Elena', 'Farid', 'Grace', 'Hiro'])[1 + i % 8],
  (array['Smith', 'García', 'Müller', 'Tanaka', 'Okafor', 'Silva', 'Novák'])[1 + i % 7] || '-' || (i % 5000),
  'user' || i || '@example' || (i % 50) || '.com',
  '+1-555-' || lpad((i % 10000000)::text, 7, '0'),
  ((i * 7919) % 1000000) / 100.0,
  i % 3 <> 0,
  timestamptz '2024-01-01 00:00:00+00' + make_interval(secs => i),
  jsonb_build_object(
    'plan', (array['free', 'pro', 'team', 'enterprise'])[1 + i % 4],
    'score', i % 1000,
    'tags', jsonb_build_array('t' || (i % 7), 'segment' || (i % 13)),
    'campaign', 'campaign-' || (i % 100),
    'reference', md5(i::text),
    'opt_in', i % 2 = 0
  ),
  (array['Berlin', 'Paris', 'Tokyo', 'Lagos', 'Madrid', 'Oslo', 'Austin'])[1 + i % 7],
  (array['DE', 'FR', 'JP', 'NG', 'ES', 'NO', 'US'])[1 + i % 7],
  timestamptz '2020-01-01 00:00:00+00' + make_interval(secs => (i * 61) % 100000000),
  case when i % 5 = 0 then null else 'Note ' || i || E', prefers "email"\tcontact; ' || md5((i * 3)::text) end
from generate_series(1::bigint, {rows}) i;
vacuum analyze customers;
