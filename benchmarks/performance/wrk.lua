-- Asks about several images in turn, and looks at each answer. wrk -s wrk.lua URL -- PLAN
-- PLAN is a Lua file that returns a list of {path, headers, body (a file), index, probability}; where index is -1, the
-- answer has no class, and probability stands for the first number in it.
-- Each thread of wrk has one connection (-t as -c), and a connection one request at a time, so an answer always
-- belongs to the request that its thread asked last.

local questions = {}
local asked = 0
local threads = {}
answered, wrong, example = 0, 0, ""

function setup(thread)
  thread:set("offset", #threads)
  threads[#threads + 1] = thread
end

function init(arguments)
  local plan = dofile(arguments[1])
  tolerance = plan.tolerance
  for place, question in ipairs(plan) do
    local file = assert(io.open(question.body, "rb"))
    question.text = wrk.format("POST", question.path, question.headers, file:read("*a"))
    file:close()
    questions[place] = question
  end
  asked = offset % #questions
end

function request()
  asked = asked % #questions + 1
  return questions[asked].text
end

function response(status, headers, body)
  local question = questions[asked]
  answered = answered + 1
  if status == 200 then
    -- An attribution may be of any size, so its number is compared relatively.
    local index, number, allowed = -1, body:match("-?%d[%d.eE+-]*"), 0.05 * math.abs(question.probability) + 1e-7
    if question.index >= 0 then
      allowed = tolerance
      index = tonumber(body:match('"index"%s*:%s*(%d+)'))
      number = body:match('"probability"%s*:%s*([%d.eE+-]+)')
    end
    number = tonumber(number)
    if index == question.index and number and math.abs(number - question.probability) <= allowed then
      return
    end
  end
  wrong = wrong + 1
  example = status .. " " .. body:sub(1, 160)
end

function done(summary, latency, requests)
  local answered, wrong, example = 0, 0, ""
  for _, thread in ipairs(threads) do
    answered = answered + thread:get("answered")
    wrong = wrong + thread:get("wrong")
    if thread:get("example") ~= "" then example = thread:get("example") end
  end
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %d %d %d %d %.3f %.3f\n", answered, wrong, broken, summary.duration,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
  io.write("EXAMPLE ", (example:gsub("%s+", " ")), "\n")
end
