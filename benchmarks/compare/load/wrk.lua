-- Sends requests about several images, and checks each response. wrk -s wrk.lua URL -- PLAN CONNECTIONS
-- PLAN is a Lua file that returns a list of {path, headers, body (a file), index, probability}. If index is -1, the
-- response has no class, and probability is the first number in it.
-- CONNECTIONS is the number of connections of a thread. wrk does not say which connection a response came from. A thread
-- with one connection has one request at a time: it goes through all images, and a response belongs to its last request.
-- A thread with several connections sends one image only.

local references = {}
local current = 0
local threads = {}
received, wrong, example = 0, 0, ""

function setup(thread)
  thread:set("offset", #threads)
  threads[#threads + 1] = thread
end

function init(arguments)
  local plan = dofile(arguments[1])
  tolerance = plan.tolerance
  for number, reference in ipairs(plan) do
    local file = assert(io.open(reference.body, "rb"))
    reference.text = wrk.format("POST", reference.path, reference.headers, file:read("*a"))
    file:close()
    references[number] = reference
  end
  current = offset % #references + 1
  single_connection = tonumber(arguments[2]) == 1
end

function request()
  if single_connection then current = current % #references + 1 end
  return references[current].text
end

function response(status, headers, body)
  local reference = references[current]
  received = received + 1
  if status == 200 then
    -- An attribution may be of any size, so its number is compared relatively.
    local index, number = -1, body:match("-?%d[%d.eE+-]*")
    local allowed = 0.05 * math.abs(reference.probability) + 1e-7
    if reference.index >= 0 then
      allowed = tolerance
      index = tonumber(body:match('"index"%s*:%s*(%d+)'))
      number = body:match('"probability"%s*:%s*([%d.eE+-]+)')
    end
    number = tonumber(number)
    if index == reference.index and number and math.abs(number - reference.probability) <= allowed then
      return
    end
  end
  wrong = wrong + 1
  example = status .. " " .. body:sub(1, 160)
end

function done(summary, latency, requests)
  local received, wrong, example = 0, 0, ""
  for _, thread in ipairs(threads) do
    received = received + thread:get("received")
    wrong = wrong + thread:get("wrong")
    if thread:get("example") ~= "" then example = thread:get("example") end
  end
  local missing = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %d %d %d %d %.3f %.3f\n", received, wrong, missing, summary.duration,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
  io.write("EXAMPLE ", (example:gsub("%s+", " ")), "\n")
end
