// Reads and writes with kitsu, a JSON:API client that knows nothing of Linkspan.
//
//     node kitsu.mjs http://127.0.0.1:8787 lsk_…

import assert from 'node:assert/strict'
import Kitsu from 'kitsu'

const [url, key] = process.argv.slice(2)
const api = new Kitsu({
  baseURL: `${url}/v1`,
  headers: { Authorization: `Bearer ${key}` },
  // Types are singular and paths plural here, so kitsu must derive neither from the other.
  camelCaseTypes: false,
  pluralize: false,
  resourceCase: 'none',
})

const suite = {
  async 'a list has a page, a total and a next link' () {
    const { data, meta, links, status } = await api.get('connectors', { params: { page: { size: 5 } } })
    assert.equal(status, 200)
    assert.equal(data.length, 5)
    assert.ok(meta.page.total >= 290, `a total of ${meta.page.total}`)
    assert.ok(links.next)
    for (const connector of data) {
      assert.equal(connector.type, 'connector')
      assert.equal(typeof connector.name, 'string')
    }
  },

  async 'pages follow each other without gap or overlap' () {
    const ids = new Set()
    let after
    let total
    do {
      const page = after ? { size: 100, after } : { size: 100 }
      const answer = await api.get('connectors', { params: { page } })
      for (const { id } of answer.data) {
        assert.ok(!ids.has(id), `${id} came twice`)
        ids.add(id)
      }
      total = answer.meta.page.total
      after = answer.links.next && new URL(answer.links.next, url).searchParams.get('page[after]')
    } while (after)
    assert.equal(ids.size, total)
  },

  async 'filters narrow and combine' () {
    const filter = { provider: 'well', transport: 'mcp', status: { in: 'available,maintenance' } }
    const { data, meta } = await api.get('connectors', { params: { filter, page: { size: 500 } } })
    assert.equal(data.length, meta.page.total)
    assert.ok(data.length > 100)
    for (const connector of data) {
      assert.equal(connector.provider, 'well')
      assert.equal(connector.transport, 'mcp')
      assert.ok(['available', 'maintenance'].includes(connector.status))
    }
    const named = await api.get('connectors', { params: { filter: { name: { starts_with: 'Stripe' } } } })
    assert.ok(named.data.length >= 2)
    assert.ok(named.data.every(({ name }) => name.startsWith('Stripe')))
  },

  async 'sorting goes both ways' () {
    const names = async (sort) => {
      const { data } = await api.get('connectors', { params: { sort, page: { size: 500 } } })
      return data.map(({ id }) => id)
    }
    const up = await names('service_id,connector_id')
    assert.deepEqual(up, (await names('-service_id,-connector_id')).reverse())
  },

  async 'sparse fieldsets leave the rest out' () {
    const params = { fields: { connector: 'name,status' }, page: { size: 3 } }
    const { data } = await api.get('connectors', { params })
    for (const connector of data) {
      const fields = Object.keys(connector).filter((it) => !['id', 'type', 'links', 'meta'].includes(it))
      assert.deepEqual(fields.sort(), ['name', 'status'])
    }
  },

  async 'what is unknown is refused, not ignored' () {
    for (const params of [{ filter: { colour: 'red' } }, { sort: 'colour' }, { include: 'colour' }, { colour: 'red' }]) {
      await assert.rejects(api.get('connectors', { params }), (error) => {
        assert.equal(error.response.status, 400)
        const [first] = error.response.data.errors
        assert.ok(first.source.parameter, JSON.stringify(first))
        return true
      })
    }
  },

  async 'an activation lives from creation to purge' () {
    const connector = await serviceOf('delay')
    const name = `kitsu ${Date.now()}`
    const created = await api.request({
      method: 'POST',
      url: 'workspace-connectors',
      type: 'workspace_connector',
      body: { name, config: {}, connector: { data: { id: connector.id, type: 'connector' } } },
    })
    assert.equal(created.status, 201)
    const { id } = created.data
    assert.ok(id)

    const read = await api.get(`workspace-connectors/${id}`, { params: { include: 'connector' } })
    assert.equal(read.data.name, name)
    assert.equal(read.data.connector.data.id, connector.id)
    assert.equal(read.data.connector.data.service_id, 'delay', 'the included connector is linked')

    const renamed = await api.request({
      method: 'PATCH',
      url: `workspace-connectors/${id}`,
      type: 'workspace_connector',
      body: { id, name: `${name}, renamed`, labels: { made_by: 'kitsu' } },
      headers: { 'If-Match': read.headers.etag },
    })
    assert.equal(renamed.data.name, `${name}, renamed`)
    assert.equal(renamed.data.labels.made_by, 'kitsu')

    const stale = api.request({
      method: 'PATCH',
      url: `workspace-connectors/${id}`,
      type: 'workspace_connector',
      body: { id, name: 'too late' },
      headers: { 'If-Match': read.headers.etag },
    })
    await assert.rejects(stale, (error) => error.response.status === 412)

    const listed = await api.get('workspace-connectors', { params: { filter: { name: renamed.data.name } } })
    assert.deepEqual(listed.data.map((it) => it.id), [id])

    await api.request({ method: 'DELETE', url: `workspace-connectors/${id}` })
    await assert.rejects(api.get(`workspace-connectors/${id}`), isNotFound)

    const act = (act) =>
      api.request({ method: 'POST', url: `workspace-connectors/${id}/${act}`, type: 'workspace_connector', body: { id } })
    const restored = await act('restore')
    assert.equal(restored.data.name, renamed.data.name)
    await assert.rejects(act('purge'), (error) => error.response.status === 409)
    await api.request({ method: 'DELETE', url: `workspace-connectors/${id}` })
    const purged = await act('purge')
    assert.equal(purged.status, 204)
    await assert.rejects(act('restore'), isNotFound)
  },

  async 'a second activation of the same name is refused' () {
    const connector = await serviceOf('delay')
    const body = { name: `twin ${Date.now()}`, config: {}, connector: { data: { id: connector.id, type: 'connector' } } }
    const create = () =>
      api.request({ method: 'POST', url: 'workspace-connectors', type: 'workspace_connector', body })
    const { data } = await create()
    await assert.rejects(create(), (error) => {
      assert.equal(error.response.status, 409)
      assert.match(error.response.data.errors[0].code, /^\w+\.\w+$/)
      return true
    })
    await api.request({ method: 'DELETE', url: `workspace-connectors/${data.id}` })
  },
}

function isNotFound (error) {
  return error.response.status === 404
}

async function serviceOf (service) {
  const { data } = await api.get('connectors', { params: { filter: { service_id: service } } })
  assert.equal(data.length, 1)
  return data[0]
}

for (const [promise, check] of Object.entries(suite)) {
  try {
    await check()
  } catch (error) {
    const answer = error.response && `\n${error.response.status} ${JSON.stringify(error.response.data)}`
    console.error(`not ok - ${promise}${answer ?? ''}`)
    throw error
  }
  console.log(`ok - ${promise}`)
}
