-- Asks about several images, and looks at each answer. wrk -s wrk.lua URL -- PLAN CONNECTIONS
-- PLAN is a Lua file that returns a list of {path, headers, body (a file), index, probability}; where index is -1, the
-- answer has no class, and probability stands for the first number in it.
-- CONNECTIONS is how many a thread has. Which of them an answer came from, wrk does not say. With one, which has one
-- request at a time, the thread asks about all images in turn, and an answer belongs to what it asked last. With
-- several, it asks about one image only.

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
  asked = offset % #questions + 1
  alone = tonumber(arguments[2]) == 1
end

function request()
  if alone then asked = asked % #questions + 1 end
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
